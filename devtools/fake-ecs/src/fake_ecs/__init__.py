"""Fake of Amazon ECS service deployments, and of the other services that a deployment by image tag uses.

It serves the deployment API of ECS, images, immutable tags and scans of ECR, rules, weights and targets of Elastic Load
Balancing, and alarms of CloudWatch. Each response is checked against botocore's model. The fake of ECS uses the other
three through their public APIs, of this fake or of another endpoint.

The fake behaves as AWS documents. Assumptions where the documentation gives no detail:

- a rolling deployment has the stages of a blue/green one except those that shift traffic;
- a newer deployment ends the previous one as STOPPED at once, and removes its tasks in RECONCILE_SERVICE;
- a rollback returns to the revision that had the production traffic at the start, and `lifecycleStage` keeps the
  stage at which the rollback began;
- the hook of a pause that ends in a requested rollback is FAILED.

Tasks run no containers. A request to a listener follows its rules and goes to the address set for the tasks' image
(`routing.py`). The only hooks are pause hooks; the strategies are rolling and blue/green.
"""
