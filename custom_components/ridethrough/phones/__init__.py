"""Messages on the phones that people choose. ``switchboard`` has one ``line`` for each, which sends ``drafts`` by
``post``; ``answers`` does what is tapped."""
