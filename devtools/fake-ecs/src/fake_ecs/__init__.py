"""Fake of Amazon ECS service deployments, and of the other AWS services that a deployment by image tag uses.

The fake serves a part of four APIs:

- ECS: service deployments;
- ECR: images, immutable tags and scans;
- Elastic Load Balancing: rules, weights and targets;
- CloudWatch: alarms.

Each response is checked against botocore's model. The fake of ECS calls the other three services through their public
APIs, which this fake or another endpoint serves.

The behaviour follows the AWS documentation: `tests/unit/fake_ecs/test_conformance.py` names the page of each rule.
Where the documentation gives no detail, the fake assumes:

- a rolling deployment has the stages of a blue/green deployment, except those that shift traffic;
- a newer deployment waits until the previous one has stopped. The stage RECONCILE_SERVICE of the newer deployment
  removes the tasks of the previous one;
- a rollback returns to the revision that had the production traffic at the start of the deployment, and
  `lifecycleStage` keeps the stage at which the rollback began;
- a rollback that is requested during CLEAN_UP comes too late: the deployment succeeds;
- the service has its former task definition again at the end of a rollback;
- if a rollback is requested during a pause, the status of the pause hook becomes FAILED.

The services and alarms at the start are those of infra: `environments.json` is generated from the synthesized stacks.

Tasks run no containers. The rules of a listener select the tasks for a request, and the fake forwards the request to
the address that is set for the image of these tasks (`routing.py`). The fake supports only pause hooks.
"""
