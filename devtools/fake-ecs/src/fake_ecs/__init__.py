"""A faithful fake of Amazon ECS's service deployments, and of what a deployment by image tag needs around it.

It serves the deployment API of ECS; of ECR images, immutable tags and scans; of Elastic Load Balancing rules, weights
and targets; of CloudWatch alarms. Each answer fits botocore's shape of it, or the fake fails itself. ECS works with the
other three through their public APIs, here or elsewhere.

What AWS documents is as documented. Our reading, where it says nothing:

- a rolling deployment has the stages of a blue/green one without those that move traffic;
- a newer deployment ends the one before as STOPPED at once, and clears up what it started in RECONCILE_SERVICE;
- a rollback goes to the revision that customers were on at the start, and `lifecycleStage` stays where it began;
- a pause that ends in a rollback on request is FAILED.

Tasks run nothing. Requests to a listener follow its rules, to the address that was set for the tasks' image
(`routing.py`). The only hooks are pauses; the strategies are rolling and blue/green.
"""
