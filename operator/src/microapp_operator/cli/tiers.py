"""Applies the risk tiers an installation ships, and leaves alone what someone changed since.

An installer can't do it by itself: on a first install neither the kind nor the webhook that judges it is there yet.
"""

import asyncio
from pathlib import Path
from typing import Final

import structlog
import yaml

from microapp_operator.adapters.kubernetes.client import APPLY, Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import POLICIES
from microapp_operator.errors import Conflict, Gone, InvalidSpec, Transient
from microapp_operator.model import Manifest, RiskTier, parse

log = structlog.get_logger(__name__)
MANAGER: Final = "microapp-operator-tiers"
"""Field manager (KEP-555): what another manager owns is theirs."""
_QUERY: Final = (("fieldManager", MANAGER), ("fieldValidation", "Strict"))
_PAUSE: Final = 1.0
"""Seconds between two attempts: the kind has just been made, or the webhook starts."""
_RISK_TIER: Final = next(kind for kind in POLICIES if kind.kind == "RiskTier")


async def apply_tiers(client: KubernetesClient, *, path: Path, within: float) -> bool:
    """Apply every RiskTier in the YAML file ``path``; False when that didn't work ``within`` so many seconds.

    A field that someone else set to another value stays theirs, and is told of. InvalidSpec when the file holds
    anything but RiskTiers; Blocked when the API server refuses one.
    """
    pending = read_tiers(path)
    try:
        async with asyncio.timeout(within):
            while pending:
                pending = [tier for tier in pending if not await _settled(client, tier)]
                await asyncio.sleep(_PAUSE if pending else 0)
    except TimeoutError:
        log.error("tiers_not_applied", within=within, tiers=[tier["metadata"]["name"] for tier in pending])
        return False
    return True


def read_tiers(path: Path) -> list[Manifest]:
    """The RiskTiers in the YAML file ``path``. InvalidSpec says what is wrong with it."""
    try:
        found = [each for each in yaml.safe_load_all(path.read_text()) if each is not None]
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSpec(path=str(path), message=f"can't be read: {error}.") from error
    for number, each in enumerate(found, 1):
        if not isinstance(each, dict) or each.get("kind") != "RiskTier":
            raise InvalidSpec(path=str(path), message=f"document {number} is no RiskTier; nothing else goes in here.")
        parse(RiskTier, each)
    return found


async def _settled(client: KubernetesClient, tier: Manifest) -> bool:
    """True once it is applied, or is someone else's; False when it has to be tried again."""
    name = tier["metadata"]["name"]
    path = f"{_RISK_TIER.collection()}/{name}"
    try:
        await client.write(Call("PATCH", path, _RISK_TIER.plural, _QUERY, tier, APPLY))
    except Conflict as error:
        log.warning("tier_left_as_changed", tier=name, why=str(error))
        return True
    except (Gone, Transient) as error:
        log.info("tier_not_applied_yet", tier=name, why=str(error))
        return False
    log.info("tier_applied", tier=name)
    return True
