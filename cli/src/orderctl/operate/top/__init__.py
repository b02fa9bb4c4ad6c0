"""`orderctl top`: what is looked at, what it comes to, and how it is shown."""
