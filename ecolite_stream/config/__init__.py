"""Settings: schema, strict reading of YAML, included files, names of sources, redaction."""
