"""The operator's image as an OCI archive, built without Docker from Debian packages and the locked wheels."""
