"""Events in a database: schema, writing, queries, retention."""
