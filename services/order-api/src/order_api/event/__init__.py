"""Events of orders: the feed, which is read slice by slice, and the stream, which stays open."""
