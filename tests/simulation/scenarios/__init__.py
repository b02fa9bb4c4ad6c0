"""What the engine has to bear, each as a function that plays it with given numbers and returns what was measured.

Rates, quotas and limits are those of a large system divided by `scale`: the proportions decide, and a thousandth of the
orders takes a thousandth of the time.
"""
