"""A real Kubernetes control plane on this machine, built from Go modules, without Docker."""
