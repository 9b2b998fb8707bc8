"""Commands that do their work on a cluster once and end: for installers."""

import argparse
import os
from collections.abc import Callable, Coroutine
from functools import partial

import structlog
import uvloop

from microapp_operator.adapters.kubernetes.client import (
    KubernetesClient,
    kubeconfig_from_environment,
    load_configuration,
)
from microapp_operator.cli.check import check_installation
from microapp_operator.cli.tiers import apply_tiers
from microapp_operator.errors import OperatorError
from microapp_operator.telemetry import configure_logging

log = structlog.get_logger(__name__)
Act = Callable[[KubernetesClient], Coroutine[None, None, bool]]


def tiers(arguments: argparse.Namespace) -> int:
    """Apply risk tiers; returns the exit status."""
    return _act(arguments, partial(apply_tiers, path=arguments.file, within=arguments.within))


def check(arguments: argparse.Namespace) -> int:
    """Check an installation; returns the exit status."""
    return _act(arguments, partial(check_installation, namespace=arguments.namespace))


def _act(arguments: argparse.Namespace, act: Act) -> int:
    configure_logging(arguments.log_level, json=arguments.log_format == "json")
    return uvloop.run(_once(act))


async def _once(act: Act) -> int:
    try:
        configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
        client = KubernetesClient(configuration, in_flight=4)
        try:
            return 0 if await act(client) else 1
        finally:
            await client.close()
    except OperatorError as error:
        log.error("failed", why=str(error))
        return 1
