"""What hvac and requests raise, as errors whose class is what to do about it; of an answer only its errors."""

import requests
from hvac import exceptions as failures

from microapp_operator.errors import Blocked, OperatorError, StoreBusy, StoreDown
from microapp_operator.reasons import Finding, Reason


def explain(what: str, path: str, error: Exception) -> OperatorError:
    """The error that stands for ``error``, met on ``what`` at ``path``."""
    words = words_of(error)
    said = f"{what} {path}: {words or type(error).__name__}."
    match error:
        case failures.InvalidPath():
            return Blocked(Finding(Reason.SECRET_ENGINE_NOT_FOUND, "", f"Vault has no engine at {path}."))
        case failures.Forbidden() | failures.Unauthorized():
            return Blocked(Finding(Reason.SECRET_STORE_DENIED, "", said))
        case failures.VaultDown() if "sealed" in words:
            return StoreDown(Finding(Reason.SECRET_STORE_SEALED, "", "Vault is sealed."))
        case failures.VaultDown() | failures.VaultNotInitialized() | failures.BadGateway():
            return StoreDown(Finding(Reason.SECRET_STORE_UNREACHABLE, "", said))
        case failures.InvalidRequest() | failures.ParamValidationError() | failures.UnsupportedOperation():
            return Blocked(Finding(Reason.SECRET_STORE_DENIED, "", said))
        case failures.VaultError():
            return StoreBusy(Finding(Reason.SECRET_STORE_BUSY, "", said))
        case requests.RequestException():
            message = f"Vault can't be reached: {type(error).__name__}."
            return StoreDown(Finding(Reason.SECRET_STORE_UNREACHABLE, "", message))
        case _:
            raise error


def words_of(error: Exception) -> str:
    """What Vault says of it, in one line; hvac appends the URL."""
    return " ".join(str(error).partition(", on ")[0].split()).rstrip(".")
