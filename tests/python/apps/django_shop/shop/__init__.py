"""A shop: migrations with rows, services that commit, a thread in the background, HTTP."""
