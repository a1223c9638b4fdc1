"""What values of the data are called on pages, per language: closed lists of models, and the usual words of the plan.

Most words of the data are the producer's own and may be any; a value without a word here is shown by its label. An
empty key is the value that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping

from analytics_platform.reporting.messages import PageLanguage, Words

VALUE_WORDS: Mapping[PageLanguage, Mapping[str, Words]] = {
    "en": {
        "booking_value_band": {
            "under_500": "Under 500",
            "500_to_2500": "500 to 2,500",
            "2500_to_10000": "2,500 to 10,000",
            "10000_to_50000": "10,000 to 50,000",
            "over_50000": "Over 50,000",
            "": "No booking",
        },
        "delay_band": {
            "0_on_plan": "On plan",
            "1_under_5": "Under 5 min",
            "2_5_to_15": "5-15 min",
            "3_15_to_30": "15-30 min",
            "4_30_to_60": "30-60 min",
            "5_60_to_120": "1-2 hours",
            "6_over_120": "Over 2 h",
        },
        "delay_reason": {"": "No reason told"},
        "model": {"linear": "Even", "position": "Position (40-20-40)"},
        "priority": {"low": "Low"},
    },
    "nl": {
        "booking_value_band": {
            "under_500": "Onder 500",
            "500_to_2500": "500 tot 2.500",
            "2500_to_10000": "2.500 tot 10.000",
            "10000_to_50000": "10.000 tot 50.000",
            "over_50000": "Boven 50.000",
            "": "Geen boeking",
        },
        "category": {
            "audio": "Geluid",
            "lighting": "Licht",
            "power": "Stroom",
            "rigging": "Rigging",
            "sound": "Geluid",
            "stages": "Podia",
            "staging": "Podia",
            "video": "Video",
            "video_walls": "Videowanden",
        },
        "channel": {
            "direct": "Direct",
            "email": "E-mail",
            "event": "Evenement",
            "events": "Evenementen",
            "organic": "Organisch",
            "organic_search": "Organisch zoeken",
            "organic_social": "Sociale media",
            "other": "Overig",
            "outbound": "Acquisitie",
            "paid_search": "Betaald zoeken",
            "paid_social": "Betaalde sociale media",
            "partner": "Partner",
            "referral": "Aanbeveling",
            "unattributed": "Zonder contact",
        },
        "delay_band": {
            "0_on_plan": "Op plan",
            "1_under_5": "Tot 5 min",
            "2_5_to_15": "5-15 min",
            "3_15_to_30": "15-30 min",
            "4_30_to_60": "30-60 min",
            "5_60_to_120": "1-2 uur",
            "6_over_120": "Meer dan 2 u",
        },
        "delay_reason": {
            "driver_late": "Chauffeur te laat",
            "loading": "Laden",
            "loading_overrun": "Laden duurde langer",
            "missing_items": "Artikelen ontbraken",
            "traffic": "Verkeer",
            "vehicle_breakdown": "Pech onderweg",
            "weather": "Weer",
            "": "Geen reden opgegeven",
        },
        "flow": {
            "create_booking": "Boeking maken",
            "extend_rental": "Huur verlengen",
            "invite_colleague": "Collega uitnodigen",
            "onboarding": "Inrichten",
            "quote": "Offerte",
            "upgrade_plan": "Abonnement verhogen",
        },
        "model": {
            "first_touch": "Eerste contact",
            "last_touch": "Laatste contact",
            "linear": "Gelijk verdeeld",
            "position": "Positie (40-20-40)",
        },
        "priority": {"high": "Hoog", "low": "Laag", "normal": "Normaal", "urgent": "Dringend"},
        "step": {
            "choose_booking": "Boeking kiezen",
            "choose_dates": "Data kiezen",
            "choose_items": "Artikelen kiezen",
            "choose_plan": "Abonnement kiezen",
            "compare_plans": "Abonnementen vergelijken",
            "confirm": "Bevestigen",
            "delivery": "Levering",
            "enter_role": "Rol invullen",
            "new_end": "Nieuwe einddatum",
            "send_invite": "Uitnodiging sturen",
        },
        "ticket_category": {
            "access": "Toegang",
            "billing": "Facturatie",
            "booking": "Boeking",
            "delivery": "Levering",
            "equipment": "Materieel",
            "invoice": "Factuur",
            "planning": "Planning",
        },
        "touchpoint": {
            "after_event": "Na evenement",
            "after_rental": "Na huur",
            "after_ticket": "Na ticket",
            "invoice": "Factuur",
            "onboarding": "Inrichten",
            "relationship": "Relatie",
            "support": "Klantenservice",
        },
    },
}
