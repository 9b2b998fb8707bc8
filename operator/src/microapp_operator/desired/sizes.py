"""CPU and memory as one value, exact, in the form the API server prints. Imports model only."""

import math
from dataclasses import dataclass
from decimal import Decimal

from microapp_operator.model.quantity import format_cpu, format_memory, parse_quantity


@dataclass(frozen=True, slots=True)
class Size:
    """cpu in cores, memory in bytes."""

    cpu: Decimal
    memory: Decimal

    def plus(self, other: "Size") -> "Size":
        """Both together."""
        return Size(self.cpu + other.cpu, self.memory + other.memory)

    def minus(self, other: "Size") -> "Size":
        """What is left without ``other``, never less than nothing, in whole millicores and bytes."""
        cpu = max(self.cpu - other.cpu, Decimal(0))
        memory = max(self.memory - other.memory, Decimal(0))
        return Size(Decimal(math.floor(cpu * 1000)) / 1000, Decimal(math.floor(memory)))

    def times(self, count: int) -> "Size":
        """``count`` of it."""
        return Size(self.cpu * count, self.memory * count)

    def at_most(self, limit: "Size") -> "Size":
        """The smaller of both, per resource."""
        return Size(min(self.cpu, limit.cpu), min(self.memory, limit.memory))

    def at_least(self, limit: "Size") -> "Size":
        """The larger of both, per resource."""
        return Size(max(self.cpu, limit.cpu), max(self.memory, limit.memory))

    def fits(self, room: "Size") -> bool:
        """True when neither resource exceeds ``room``."""
        return self.cpu <= room.cpu and self.memory <= room.memory

    def render(self) -> dict[str, str]:
        """As a core/v1 ResourceList in canonical quantities (apimachinery, resource.Quantity)."""
        return {"cpu": format_cpu(self.cpu), "memory": format_memory(self.memory)}


def parse_size(cpu: str, memory: str) -> Size:
    """The size two quantities name."""
    return Size(parse_quantity(cpu), parse_quantity(memory))


def canonical_memory(quantity: str) -> str:
    """A quantity of bytes in canonical form: ``1024Mi`` is ``1Gi``."""
    return format_memory(parse_quantity(quantity))
