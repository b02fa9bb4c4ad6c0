"""Fake of Amazon ECS service deployments, and of the other AWS services that a deployment by image tag uses.

The fake serves a part of four APIs:

- ECS: service deployments;
- ECR: images, immutable tags and scans;
- Elastic Load Balancing: rules, weights and targets;
- CloudWatch: alarms.

Each response is checked against botocore's model. The fake of ECS calls the other three services through their public
APIs, which this fake or another endpoint serves.

The behaviour follows the AWS documentation. Where the documentation gives no detail, the fake assumes:

- a rolling deployment has the stages of a blue/green deployment, except the four that shift traffic or follow a shift;
- a newer deployment ends the previous deployment at once, with the status STOPPED. The stage RECONCILE_SERVICE of the
  newer deployment removes the tasks of the previous one;
- a rollback returns to the revision that had the production traffic at the start of the deployment, and
  `lifecycleStage` keeps the stage at which the rollback began;
- if a rollback is requested during a pause, the status of the pause hook becomes FAILED.

Tasks run no containers. The rules of a listener select the tasks for a request, and the fake forwards the request to
the address that is set for the image of these tasks (`routing.py`). The fake supports only pause hooks, and the
strategies rolling and blue/green.
"""
