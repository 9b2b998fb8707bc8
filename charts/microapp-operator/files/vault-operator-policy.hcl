# Least privilege of microapp-operator. Its own role and policy don't begin with ma-: it can't change them.
path "auth/kubernetes/role/ma-*" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "token_policies" = ["ma-*"]
    "*" = []
  }
  denied_parameters = {
    "token_policies" = ["*,*"]
    "policies" = []
  }
}
path "sys/policies/acl/ma-*" { capabilities = ["create", "read", "update", "delete"] }
# The entity of an account, once the account is gone. Nobody else's can be looked up: ids can't be guessed.
path "identity/lookup/entity" {
  capabilities = ["update"]
  required_parameters = ["alias_name", "alias_mount_accessor"]
  allowed_parameters = {
    "alias_name" = []
    "alias_mount_accessor" = ["auth_kubernetes_*"]
  }
}
path "identity/entity/id/*" { capabilities = ["delete"] }
# When a secret was written last; never the secret.
path "secret/metadata/*" { capabilities = ["read"] }
# Users made for one app alone, and the rotation of those the engine keeps, in database.
path "database/roles" { capabilities = ["list"] }
path "database/roles/+" { capabilities = ["read"] }
path "database/roles/ma-*" { capabilities = ["create", "read", "update", "delete"] }
path "database/static-roles/+" { capabilities = ["read"] }
path "database/rotate-role/+" { capabilities = ["update"] }
path "sys/leases/revoke-prefix/database/creds/ma-*" { capabilities = ["update", "sudo"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
