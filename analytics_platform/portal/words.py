"""The words of the portal's own pages, per language."""

from __future__ import annotations

from collections.abc import Mapping

from analytics_platform.documents import Language

COOKIE = "portal_language"
"""Keeps the language that somebody has chosen."""

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en-GB": {
        "all_weeks": "The newest eight weeks; older ones keep their address.",
        "as": "as {audience}",
        "changed": "changed",
        "changed_since": "Since your visit of {moment}",
        "dashboard": "Dashboards",
        "governance": "Governance",
        "home": "Start page",
        "incident": "{what}: {severity}, since {moment}",
        "incidents": "Open incidents",
        "incidents_more": "and {count} more",
        "language": "Nederlands",
        "late_note": "late: not renewed today",
        "limited": "Too many attempts have failed. Try again in {minutes} min.",
        "login": "Sign in",
        "login_lede": "Dashboards and reports, each for those who may see them.",
        "logout": "Sign out",
        "new": "new",
        "no_change": "Nothing has been published since then.",
        "first_visit": "This is your first visit: everything is new to you.",
        "no_role": "You are signed in, but hold no role. Ask whoever looks after the roles in the product.",
        "not_found": "There is no such page for you",
        "not_found_lede": "It does not exist, or it is not among what your roles may see.",
        "nothing": "Nothing of what your roles may see has been published yet.",
        "onward": "Go on to the page",
        "password": "Password",
        "plan": "Tracking plan",
        "records": "Records of processing activities",
        "published": "Published {moment}",
        "refused": "You are not signed in",
        "refused_lede": "Your sign-in is missing or has ended. Open the portal through your organisation's sign-in.",
        "expectations": "Data quality: expectations of KPI tables and extracts",
        "report": "Weekly reports",
        "review": "Data-quality review, {quarter}",
        "review_waits": "The review of {quarter} waits for a signature: {roles}",
        "reference": "Data and definitions",
        "signed_in": "Signed in as {who}",
        "skip": "Go to the contents",
        "title": "Dashboards and reports",
        "unavailable": "The portal cannot answer now",
        "unavailable_lede": "It cannot tell who may see what, or cannot reach the pages. Try again in a few minutes.",
        "user": "User",
        "week": "Week {number}: {span}",
        "wrong": "The user or the password is not right.",
        "forged": "The form had expired. Try again.",
    },
    "nl-NL": {
        "all_weeks": "De nieuwste acht weken; oudere houden hun adres.",
        "as": "als {audience}",
        "changed": "gewijzigd",
        "changed_since": "Sinds uw bezoek van {moment}",
        "dashboard": "Dashboards",
        "governance": "Beheer van gegevens",
        "home": "Startpagina",
        "incident": "{what}: {severity}, sinds {moment}",
        "incidents": "Open incidenten",
        "incidents_more": "en nog {count}",
        "language": "English",
        "late_note": "te laat: vandaag niet vernieuwd",
        "limited": "Te veel mislukte pogingen. Probeer het over {minutes} min opnieuw.",
        "login": "Aanmelden",
        "login_lede": "Dashboards en rapporten, elk voor wie ze mag zien.",
        "logout": "Afmelden",
        "new": "nieuw",
        "no_change": "Sindsdien is niets gepubliceerd.",
        "first_visit": "Dit is uw eerste bezoek: alles is nieuw voor u.",
        "no_role": "U bent aangemeld, maar hebt geen rol. Vraag het wie in het product de rollen beheert.",
        "not_found": "Zo'n pagina is er voor u niet",
        "not_found_lede": "Ze bestaat niet, of hoort niet bij wat uw rollen mogen zien.",
        "nothing": "Van wat uw rollen mogen zien is nog niets gepubliceerd.",
        "onward": "Verder naar de pagina",
        "password": "Wachtwoord",
        "plan": "Meetplan",
        "records": "Register van verwerkingsactiviteiten",
        "published": "Gepubliceerd {moment}",
        "refused": "U bent niet aangemeld",
        "refused_lede": "Uw aanmelding ontbreekt of is verlopen. Open het portaal via uw organisatie.",
        "expectations": "Datakwaliteit: verwachtingen van KPI-tabellen en extracten",
        "report": "Weekrapporten",
        "review": "Kwartaaltoets van de datakwaliteit, {quarter}",
        "review_waits": "De kwartaaltoets van {quarter} wacht op een handtekening: {roles}",
        "reference": "Gegevens en definities",
        "signed_in": "Aangemeld als {who}",
        "skip": "Naar de inhoud",
        "title": "Dashboards en rapporten",
        "unavailable": "Het portaal kan nu niet antwoorden",
        "unavailable_lede": "Het weet niet wie wat mag zien, of kan niet bij de pagina's. Probeer het straks opnieuw.",
        "user": "Gebruiker",
        "week": "Week {number}: {span}",
        "wrong": "De gebruiker of het wachtwoord klopt niet.",
        "forged": "Het formulier was verlopen. Probeer het opnieuw.",
    },
}

SEVERITIES: Mapping[Language, Mapping[str, str]] = {
    "en-GB": {"critical": "critical", "warning": "warning", "info": "information"},
    "nl-NL": {"critical": "kritiek", "warning": "waarschuwing", "info": "informatie"},
}


def language_of(chosen: str | None, accepted: str | None, otherwise: Language) -> Language:
    """The language that somebody has chosen, else the first of the browser's that there is, else the house's."""
    if chosen in ("en-GB", "nl-NL"):
        return "en-GB" if chosen == "en-GB" else "nl-NL"
    for each in (accepted or "").lower().split(","):
        if each.strip()[:2] in ("en", "nl"):
            return "en-GB" if each.strip().startswith("en") else "nl-NL"
    return otherwise
