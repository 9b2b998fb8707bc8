# Kubernetes quantities as numbers: cores for CPU, bytes for memory (apimachinery, resource.Quantity).
package microapps.lib.quantity

suffixes := {
	"m": 0.001, "k": 1000, "M": 1000000, "G": 1000000000, "T": 1000000000000,
	"Ki": 1024, "Mi": 1048576, "Gi": 1073741824, "Ti": 1099511627776,
}

number(value) := value if is_number(value)

number(value) := to_number(value) if {
	is_string(value)
	regex.match(`^[0-9]+([.][0-9]+)?$`, value)
}

number(value) := to_number(trim_suffix(value, suffix)) * suffixes[suffix] if {
	is_string(value)
	regex.match(`^[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)$`, value)
	suffix := trim_left(value, "0123456789.")
}
