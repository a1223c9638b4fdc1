{{ collection_rate() }}
