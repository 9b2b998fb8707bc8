# MicroApp finance/expenses. Written by microapp-operator; changes go.
path "database/creds/ma-finance-expenses.db" { capabilities = ["read"] }
path "database/static-creds/ledger" { capabilities = ["read"] }
path "secret/data/finance/expenses/api" { capabilities = ["read"] }
path "secret/data/finance/expenses/box" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
