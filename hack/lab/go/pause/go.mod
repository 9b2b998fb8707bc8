// Builds the first process of a pod, and of a machine of the lab.
module microapps.dev/lab/pause

go 1.26.0
