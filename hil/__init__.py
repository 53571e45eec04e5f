"""Client of the Genode taskloader: boards over TCP."""
