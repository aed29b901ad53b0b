"""The HTTP API under `/api`: operations, their types, and the OpenAPI document made from them."""
