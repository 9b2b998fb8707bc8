"""The store's own words for a Vault that isn't there; all else is asked of a real one."""

import pytest
from hack.lab.controlplane import free_ports

from microapp_operator.adapters.vault import VaultStore
from microapp_operator.errors import StoreDown
from microapp_operator.reasons import Reason
from tests.support.secrets import VAULT


async def test_a_vault_nobody_answers_for_is_down_and_no_crash() -> None:
    store = VaultStore(VAULT.model_copy(update={"address": f"https://127.0.0.1:{free_ports(1)[0]}"}))
    with pytest.raises(StoreDown) as down:
        await store.ping()
    assert down.value.finding.reason is Reason.SECRET_STORE_UNREACHABLE
    await store.close()
