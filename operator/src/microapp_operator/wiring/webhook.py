"""The webhook: its certificates and what it answers, from flags and environment."""

import argparse
import os

import structlog
import uvloop

from microapp_operator.adapters.http import ListenError
from microapp_operator.adapters.kubernetes.client import (
    KubernetesClient,
    kubeconfig_from_environment,
    load_configuration,
)
from microapp_operator.adapters.policies import PolicyFiles
from microapp_operator.admission.process import Webhook, WebhookOptions
from microapp_operator.admission.rotation import CertificateKeeper, FileCertificates, Place
from microapp_operator.errors import OperatorError
from microapp_operator.telemetry import configure_logging
from microapp_operator.wiring.clock import SystemClock

log = structlog.get_logger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Answer reviews until stopped; returns the exit status."""
    configure_logging(arguments.log_level, json=arguments.log_format == "json")
    return uvloop.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    options = WebhookOptions(
        host=arguments.host,
        port=arguments.port,
        health_port=arguments.health_port,
        policies=PolicyFiles(arguments.bundle, arguments.settings),
    )
    if (arguments.certificate is None) != (arguments.key is None):
        log.error("cannot_start", why="--certificate and --key are given together, or not at all.")
        return 2
    try:
        configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
        client = KubernetesClient(configuration, in_flight=4)
        names = tuple(arguments.name) or (f"microapp-webhook.{arguments.namespace}.svc",)
        place = Place(arguments.namespace, arguments.secret, arguments.configuration, names)
        certificates = (
            FileCertificates(arguments.certificate, arguments.key)
            if arguments.certificate
            else CertificateKeeper(client, place, SystemClock())
        )
        await Webhook(client, certificates, options, SystemClock()).run()
    except (OperatorError, ListenError) as error:
        log.error("cannot_start", why=str(error))
        return 1
    return 0
