"""Who may let an app go while its secrets stay behind, and the stamp of who did: the floor's part of it. In CEL."""

from typing import Final

from microapp_operator.constants import (
    ANNOTATION_SKIP_CLEANUP,
    ANNOTATION_SKIP_CLEANUP_BY,
    GROUP,
    VERB_SKIP_CLEANUP,
)


def _read(root: str, annotation: str) -> str:
    return f"{root}.metadata.?annotations[?'{annotation}'].orValue('')"


def _before(annotation: str) -> str:
    return f"oldObject == null ? '' : {_read('oldObject', annotation)}"


VARIABLES: Final = [
    {"name": "why", "expression": _read("object", ANNOTATION_SKIP_CLEANUP)},
    {"name": "whyBefore", "expression": _before(ANNOTATION_SKIP_CLEANUP)},
    {"name": "by", "expression": _read("object", ANNOTATION_SKIP_CLEANUP_BY)},
    {"name": "byBefore", "expression": _before(ANNOTATION_SKIP_CLEANUP_BY)},
    {
        "name": "stamp",
        "expression": "variables.why == '' ? '' : variables.why == variables.whyBefore ? variables.byBefore"
        " : request.userInfo.username",
    },
]
_PATH: Final = f"'/metadata/annotations/' + jsonpatch.escapeKey('{ANNOTATION_SKIP_CLEANUP_BY}')"
# A stamp that is changed in place is a forgery and is left to the proof to refuse, so that it shows.
STAMP: Final = (
    "variables.by == variables.stamp"
    " || (oldObject != null && variables.by != '' && variables.by != variables.byBefore) ? []"
    f" : variables.stamp == '' ? [JSONPatch{{op: 'remove', path: {_PATH}}}]"
    f" : [JSONPatch{{op: 'add', path: {_PATH}, value: variables.stamp}}]"
)
# Asked for in no namespace: what is bound in a tenant's own gives nobody this right.
ENTITLED: Final = (
    "variables.why == '' || variables.why == variables.whyBefore"
    f" || authorizer.group('{GROUP}').resource('microapps').check('{VERB_SKIP_CLEANUP}').allowed()"
)
PROOF: Final = "variables.by == variables.stamp"
