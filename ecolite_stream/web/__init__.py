"""A page to watch a run with: `ecolite-stream --web [HOST:]PORT`. Needs the extra `web`."""
