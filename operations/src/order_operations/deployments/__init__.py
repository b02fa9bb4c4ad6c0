"""Deployment of a service in ECS: its lock, its freeze, its checks and the judgement of its deployments.

`orderctl deploy` and a Terraform apply share these modules, so that both obey the same rules:

- `service_ref.ServiceRef` names the service in its environment;
- `lock.Lock` lets one operator at a time change it, and `freeze.FreezeStore` holds a freeze;
- `fleet.Fleet`, `ecr_repository.EcrRepository` and `traffic.Traffic` read ECS, ECR and the load balancer;
- `preflight` has the checks before a change, `status.state_of` finds drift, and `judgement.judge` says how the newest
  deployment ended.
"""
