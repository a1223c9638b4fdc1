{{ collection_rate(drill_downs=["project_id", "booking_value_band"]) }}
