"""dagster-powerbi's workspace, with what its calls lack.

Taken from it: how a service principal and a workspace are configured, and how a refresh is triggered (address, body,
only 202 is a start). Put around it, because 0.29 has none of it: a limit of time on each request (its own wait for
ever), 429 and 5xx tried again with `Retry-After`, a token that has expired made anew, a secret that may hold any
character, other clouds' addresses, our own entry in the history rather than the newest, `Cancelled` and `Disabled` as
ends, growing pauses, and errors that quote neither token nor data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from dagster_powerbi import PowerBIServicePrincipal, PowerBIWorkspace
from pydantic import PrivateAttr

from analytics_platform.reporting.power_bi.refresh import (
    Patience,
    PowerBiError,
    RefreshDeadlineError,
    Refreshed,
    asked_to_wait,
    ended,
    entries,
    is_passing,
    ours,
    request_id,
)
from analytics_platform.settings import Settings

_RESOURCE = "https://analysis.windows.net/powerbi/api"
_OK, _REDIRECT, _UNAUTHORIZED = 200, 300, 401
_MENDS: Mapping[int, str] = {
    400: "another refresh may be running, or the model has no credentials for its source",
    401: "allow service principals to use Power BI's API (tenant settings) and look at the client's id and secret",
    403: "give the service principal the role Member in the workspace",
    404: "look at ANALYTICS_POWER_BI_WORKSPACE_ID and ANALYTICS_POWER_BI_DATASET_ID",
}


class ServicePrincipal(PowerBIServicePrincipal):
    """A service principal of Entra ID; `login_url` is the cloud's."""

    login_url: str
    answer_seconds: float

    def get_api_token(self) -> str:
        """A new token.

        Raises:
            PowerBiError: there is none; the text has the status and nothing of the request.
        """
        form = {
            "grant_type": "client_credentials",
            "resource": _RESOURCE,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        url = f"{self.login_url.rstrip('/')}/{self.tenant_id}/oauth2/token"
        try:
            answer = requests.post(url, data=form, timeout=self.answer_seconds, allow_redirects=False)
        except requests.RequestException as error:
            raise PowerBiError(f"{self.login_url} did not answer ({type(error).__name__}); try again later") from None
        if answer.status_code != _OK:
            raise PowerBiError(f"{self.login_url} gave no token (HTTP {answer.status_code}); {_MENDS[401]}")
        self._api_token = _token(answer, self.login_url)
        return self._api_token


class PatientWorkspace(PowerBIWorkspace):
    """A workspace whose refreshes are waited for to their end."""

    api_url: str
    deadline_seconds: float
    answer_seconds: float
    first_pause_seconds: float
    longest_pause_seconds: float

    _started: float = PrivateAttr(default=0.0)
    _told: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def refresh(self, dataset_id: str) -> Refreshed:
        """Trigger a refresh and wait until it has ended.

        Raises:
            PowerBiError: it was refused, failed, or did not end in time.
        """
        self._started = time.monotonic()
        before = {str(each.get("requestId")) for each in self._history(dataset_id)}
        triggered = self._trigger(dataset_id)
        for pause in self._patience.pauses():
            self._sleep(pause, "the refresh has not ended")
            entry = ours(self._history(dataset_id), before, triggered)
            done = ended(entry) if entry is not None else None
            if done is not None:
                return done
        raise AssertionError("pauses do not end")

    @property
    def _principal(self) -> ServicePrincipal:
        found = self.credentials
        assert isinstance(found, ServicePrincipal)
        return found

    @property
    def _patience(self) -> Patience:
        return Patience(
            self.deadline_seconds, self.answer_seconds, self.first_pause_seconds, self.longest_pause_seconds
        )

    def _trigger(self, dataset_id: str) -> str | None:
        """Start the refresh; the id that the service gives it.

        A request whose answer did not come may have started one: then the history is asked, not the trigger again.
        """
        try:
            self.trigger_refresh(dataset_id)
        except requests.RequestException:
            return None
        return request_id(self._told)

    def _history(self, dataset_id: str) -> list[Mapping[str, Any]]:
        return entries(self._fetch(f"datasets/{dataset_id}/refreshes", params={"$top": 20}).content)

    def _fetch(
        self,
        endpoint: str,
        method: str = "GET",
        json: Any = None,
        params: dict[str, Any] | None = None,
        group_scoped: bool = True,
    ) -> requests.Response:
        """What dagster-powerbi's own calls go through.

        Raises:
            PowerBiError: the answer is an error that no retry mends, or time is up.
            requests.RequestException: a request that must not be made twice got no answer.
        """
        base = f"{self.api_url.rstrip('/')}/v1.0/myorg" + (f"/groups/{self.workspace_id}" if group_scoped else "")

        def send() -> requests.Response:
            return requests.request(
                method,
                f"{base}/{endpoint}",
                headers={"Authorization": f"Bearer {self._principal.api_token}"},
                json=json,
                params=params,
                timeout=self.answer_seconds,
                allow_redirects=False,
            )

        answer = self._sent(send, f"{method} {endpoint}", may_repeat=method == "GET")
        self._told = answer.headers
        return answer

    def _sent(self, send: Callable[[], requests.Response], what: str, *, may_repeat: bool) -> requests.Response:
        """The answer to a request, which is made again where that may help."""
        renewed = False
        for pause in self._patience.pauses():
            try:
                answer = send()
            except requests.RequestException as error:
                if not may_repeat:
                    raise
                self._sleep(pause, f"{what} got no answer ({type(error).__name__})")
                continue
            if answer.status_code == _UNAUTHORIZED and not renewed:
                renewed = True
                self._principal.get_api_token()
            elif is_passing(answer.status_code):
                wanted = asked_to_wait(answer.headers, datetime.now(UTC))
                self._sleep(pause if wanted is None else wanted, f"{what} was answered {answer.status_code}")
            elif answer.status_code >= _REDIRECT:
                raise _refused(answer, what)
            else:
                return answer
        raise AssertionError("pauses do not end")

    def _sleep(self, seconds: float, why: str) -> None:
        left = self._started + self.deadline_seconds - time.monotonic()
        if seconds > left:
            raise RefreshDeadlineError(
                f"{why}, and the next question would come {seconds:.0f} s later, after the "
                f"{self.deadline_seconds:.0f} s that are allowed; raise ANALYTICS_POWER_BI_REFRESH_MINUTES, or refresh "
                "less often (a shared capacity allows eight a day)"
            )
        time.sleep(seconds)


def workspace_from(settings: Settings, patience: Patience | None = None) -> PatientWorkspace:
    """The workspace that the settings name; they have to be complete (`Settings.refreshes_power_bi`)."""
    told = patience or Patience(deadline=settings.power_bi_refresh_minutes * 60)
    assert settings.power_bi_client_secret is not None
    principal = ServicePrincipal(
        client_id=str(settings.power_bi_client_id),
        client_secret=settings.power_bi_client_secret.get_secret_value(),
        tenant_id=str(settings.power_bi_tenant_id),
        login_url=settings.power_bi_login_url,
        answer_seconds=told.answer,
    )
    return PatientWorkspace(
        credentials=principal,
        workspace_id=str(settings.power_bi_workspace_id),
        api_url=settings.power_bi_api_url,
        deadline_seconds=told.deadline,
        answer_seconds=told.answer,
        first_pause_seconds=told.first,
        longest_pause_seconds=told.longest,
    )


def _refused(answer: requests.Response, what: str) -> PowerBiError:
    code = _code(answer)
    mend = _MENDS.get(answer.status_code, "try again later")
    return PowerBiError(f"{what} was answered {answer.status_code}{f' ({code})' if code else ''}; {mend}")


def _code(answer: requests.Response) -> str | None:
    """The code of an error's JSON; its message may quote names and values, and stays out."""
    try:
        code = answer.json()["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) and code.isascii() else None


def _token(answer: requests.Response, login_url: str) -> str:
    try:
        token = answer.json()["access_token"]
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or not token:
        raise PowerBiError(f"{login_url} answered without a token; look whether it is the address of Entra ID")
    return token
