# The request as the rules ask about it: by whom it is made, and in whose namespace.
package microapps.lib.request

operation := object.get(input.request, "operation", "")

subresource := object.get(input.request, "subResource", "")

username := object.get(object.get(input.request, "userInfo", {}), "username", "")

settings := object.get(input.context, "settings", {})

# What the API server's own controllers, the scheduler and the kubelets do follows from what others wrote.
by_cluster if startswith(username, "system:serviceaccount:kube-system:")

by_cluster if username in {"system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"}

by_cluster if startswith(username, "system:node:")

by_operator if username in settings.operators

by_gitops if username in settings.gitops

by_break_glass if {
	some group in input.request.userInfo.groups
	group in settings.breakGlassGroups
}

# A namespace that belongs to one MicroApp.
governed if input.context.app

production if input.context.app.stage == "production"
