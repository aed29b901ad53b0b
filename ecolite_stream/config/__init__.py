"""Configuration: schema, strict YAML, included files, source names, redaction."""
