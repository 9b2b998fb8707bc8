"""Edges of the policies and of what stands before them."""

import pytest
from tests.support.samples import make_app, make_tier

from microapp_operator.constants import LABEL_APP
from microapp_operator.desired.access import build_owner_binding
from microapp_operator.desired.context import AddressTarget, RenderContext
from microapp_operator.desired.limits import build_limits
from microapp_operator.desired.network import build_egress, build_openings
from microapp_operator.desired.plan import build_guardrails, build_plan
from microapp_operator.model.common import Protocol


class TestNetwork:
    NETWORK = AddressTarget("bank", (443,), Protocol.TCP, cidrs=("203.0.113.0/24",))
    PEER = AddressTarget("ledger", (8080,), Protocol.TCP, peer=("finance", "ledger"))

    def _names(self, *targets: AddressTarget) -> list[str]:
        return [m["metadata"]["name"] for m in build_openings(make_app(), targets)]

    def test_nothing_opens_by_itself(self) -> None:
        assert self._names() == []

    def test_dns_opens_for_another_app_only(self) -> None:
        assert self._names(self.NETWORK) == ["allow-egress-bank"]
        assert self._names(self.NETWORK, self.PEER) == ["allow-dns", "allow-egress-bank", "allow-egress-ledger"]

    def test_a_caller_listed_twice_is_one(self) -> None:
        peers = [{"microApp": {"namespace": "finance", "name": n}} for n in ("portal", "admin", "portal")]
        (policy,) = build_openings(make_app(ingress={"from": peers}), ())
        (rule,) = policy["spec"]["ingress"]
        assert [p["podSelector"]["matchLabels"][LABEL_APP] for p in rule["from"]] == ["admin", "portal"]
        assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]

    def test_a_target_without_destination_is_never_everywhere(self) -> None:
        with pytest.raises(ValueError, match="no destination"):
            build_egress(make_app(), AddressTarget("all", (443,), Protocol.TCP))
        with pytest.raises(ValueError, match="no port"):
            build_egress(make_app(), AddressTarget("all", (), Protocol.TCP, cidrs=("10.0.0.0/8",)))

    @pytest.mark.parametrize("cidr", ["169.254.169.254/32", "169.254.0.0/16", "fe80::/64", "fd00:ec2::254/128"])
    def test_metadata_addresses_are_no_target(self, cidr: str) -> None:
        with pytest.raises(ValueError, match="reserved"):
            build_egress(make_app(), AddressTarget("meta", (80,), Protocol.TCP, cidrs=(cidr,)))

    def test_a_network_around_them_leaves_them_out(self) -> None:
        policy = build_egress(make_app(), AddressTarget("all", (443,), Protocol.TCP, cidrs=("0.0.0.0/0", "::/0")))
        assert policy["spec"]["egress"][0]["to"] == [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
            {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}},
        ]

    def test_networks_are_written_canonically(self) -> None:
        target = AddressTarget("lan", (443,), Protocol.TCP, cidrs=("10.0.0.0/255.0.0.0",))
        to = build_egress(make_app(), target)["spec"]["egress"][0]["to"]
        assert to == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


class TestGuardrails:
    def test_stand_when_nothing_may_run(self) -> None:
        plan = build_plan(make_app(), make_tier(), RenderContext())
        assert plan.guardrails == build_guardrails(make_app(), make_tier())
        assert (plan.openings, plan.workload) == ((), ())

    def test_production_has_another_binding_not_another_role(self) -> None:
        refs = {}
        for stage in ("sandbox", "staging", "production"):
            binding = build_owner_binding(make_app(stage=stage))
            refs[binding["metadata"]["name"]] = binding["roleRef"]["name"]
            assert [s["name"] for s in binding["subjects"]] == ["finance-ops"]
        assert refs == {"owner-team": "microapps-owner", "owner-team-production": "microapps-owner-production"}

    def test_limits_of_a_tier_that_is_all_reserve_admit_nothing(self) -> None:
        tier = make_tier(quota={"cpu": "50m", "memory": "1Gi", "pods": 1}, sidecarReserve={"cpu": "100m"})
        limits = build_limits(make_app(), tier)["spec"]["limits"][0]
        assert limits["max"] == {"cpu": "0", "memory": "928Mi"}
        assert limits["default"]["cpu"] == "0"

    def test_no_limit_may_be_zero(self) -> None:
        limits = build_limits(make_app(), make_tier(sidecarReserve={"cpu": "0", "memory": "0"}))["spec"]["limits"][0]
        assert limits["min"] == limits["default"] == {"cpu": "1m", "memory": "1Mi"}
