"""Names the operator shares with the cluster: API group, labels, field manager, finalizer.

They live apart so that every layer can import them; this module imports nothing of ours.
"""

from typing import Final

GROUP: Final = "microapps.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

FIELD_MANAGER: Final = "microapp-operator"
"""The one server-side-apply field manager of every write (KEP-555)."""

FINALIZER: Final = f"{GROUP}/teardown"

RENDERER_VERSION: Final = "6"
"""Raised whenever desired/ renders an old spec differently: it voids every recorded fingerprint."""

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "microapp-operator"
"""Value of that label on all that is ours."""
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_APP_UID: Final = f"{GROUP}/app-uid"
LABEL_APP: Final = f"{GROUP}/app"
LABEL_TENANT: Final = f"{GROUP}/tenant"
LABEL_TIER: Final = f"{GROUP}/tier"
LABEL_CLASSIFICATION: Final = f"{GROUP}/classification"
LABEL_STAGE: Final = f"{GROUP}/stage"
LABEL_PROFILE: Final = f"{GROUP}/profile"
LABEL_LOG_RETENTION: Final = f"{GROUP}/log-retention-days"
"""On an app's namespace: for how many days its records are kept; the log gateway reads it."""
ANNOTATION_APPLIED_HASH: Final = f"{GROUP}/applied-hash"
"""SHA-256 of the manifest as rendered; says what a child was last applied from."""

ANNOTATION_SKIP_CLEANUP: Final = f"{GROUP}/skip-secret-cleanup"
"""On a MicroApp: its deletion doesn't wait for the secret store; the value says why, and is told in an Event."""
ANNOTATION_SKIP_CLEANUP_BY: Final = f"{GROUP}/skip-secret-cleanup-by"
"""User name of who set that; stamped by admission."""
VERB_SKIP_CLEANUP: Final = "skipcleanup"
"""The right to set it: this verb on all MicroApps, so that nothing bound in one namespace gives it."""
ANNOTATION_SECRETS: Final = f"{GROUP}/secrets"
"""On a pod template: digest of what the pods are replaced for when a secret or the agent's configuration changes."""

ANNOTATION_LOGGING: Final = f"{GROUP}/logging"
"""On a pod template: digest of the log forwarder's configuration, so that pods are replaced when it changes."""

ANNOTATION_EDITORS: Final = f"{GROUP}/editors"
"""Identities of all who edited a MicroApp since it was last approved, one a line; stamped by admission."""
ANNOTATION_ATTESTATION: Final = f"{GROUP}/attestation"
"""JSON Web Tokens (RFC 7519) by which a pipeline says who asked for the content it applies; white space between."""
EXTRA_PERSON: Final = f"{GROUP}/person"
"""Key of userInfo.extra under which the cluster's authentication names the person behind an account."""

POD_SECURITY_VERSION: Final = "v1.36"
"""Pod Security Standards version pinned in the namespace labels (KEP-2579)."""

NAMESPACE_PREFIX: Final = "ma-"

METADATA_RANGES: Final = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")
"""Link-local and cloud metadata addresses: never an egress target (RFC 3927, RFC 4291, cloud IMDS)."""
