"""How fast engines and streams are here."""
