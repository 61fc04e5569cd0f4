"""A consumer of AWS Secrets Manager or Azure Key Vault, by the vendor's own
client, and what other people do to a store by the same client.

    client.py aws REGION URL QUALYTICS
    client.py azure URL QUALYTICS

It reads one request a line on its standard input, ["what", "name"], and answers
each with a line of JSON. It uses a token itself, as Airflow's HTTP hook would:
none is ever printed, only its fingerprint.
"""

import hashlib
import json
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request


class Absent(Exception):
    """Nothing stands there that could be read."""


class AWS:
    def __init__(self, region, url):
        import boto3
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
        self.client = boto3.client("secretsmanager", region_name=region, endpoint_url=url, config=config)

    def read(self, name):
        missing = self.client.exceptions.ResourceNotFoundException, self.client.exceptions.InvalidRequestException
        try:
            # Naming the stage changes nothing on AWS. moto without it doesn't
            # follow a stage that was moved.
            found = self.client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        except missing:  # the second: it is scheduled for deletion
            raise Absent from None
        return found["SecretString"], found["VersionId"]

    def write(self, name, value):
        self.client.create_secret(Name=name, SecretString=value)

    def roll_back(self, name):
        stages = self.client.describe_secret(SecretId=name)["VersionIdsToStages"]
        at = {stage: version for version, of in stages.items() for stage in of}
        self.client.update_secret_version_stage(
            SecretId=name,
            VersionStage="AWSCURRENT",
            MoveToVersionId=at["AWSPREVIOUS"],
            RemoveFromVersionId=at["AWSCURRENT"],
        )

    def delete(self, name):
        self.client.delete_secret(SecretId=name)


class Azure:
    def __init__(self, url):
        from azure.identity import ManagedIdentityCredential
        from azure.keyvault.secrets import SecretClient

        # The host of a stand-in isn't Azure's.
        self.client = SecretClient(url, ManagedIdentityCredential(), verify_challenge_resource=False)
        self.seen = {}  # by name, the values in the order in which they were read

    def read(self, name):
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        try:
            found = self.client.get_secret(name)
        except ResourceNotFoundError:
            raise Absent from None
        except HttpResponseError as refused:
            if refused.status_code == 403:  # the version is disabled
                raise Absent from None
            raise
        seen = self.seen.setdefault(name, [])
        if not seen or seen[-1] != found.value:
            seen.append(found.value)
        return found.value, found.properties.version

    def write(self, name, value):
        self.client.set_secret(name, value)

    def roll_back(self, name):
        self.client.set_secret(name, self.seen[name][-2])

    def delete(self, name):
        self.client.begin_delete_secret(name).wait()


def fingerprint(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def token_of(value):
    """The token in an Airflow connection, as the HTTP hook sends it."""
    if value.startswith("{"):
        fields = json.loads(value)
        header, password = fields["extra"]["Authorization"], fields["password"]
    else:
        uri = urllib.parse.urlsplit(value)
        header, password = dict(urllib.parse.parse_qsl(uri.query))["Authorization"], urllib.parse.unquote(uri.password)
    token = header.removeprefix("Bearer ")
    if password != token:
        raise ValueError("its password is another token")
    return token


def use(qualytics, token):
    """Whose a token is; None for a dead one."""
    asked = urllib.request.Request(qualytics + "/api/users/me", headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)["user_id"]
    except urllib.error.HTTPError as refused:
        if refused.code == 401:
            return None
        raise


def look(store, qualytics, name):
    value, version = store.read(name)
    token = token_of(value)
    account = use(qualytics, token)
    return {"found": "ok" if account else "dead", "account": account or "", "token": fingerprint(token), "version": version}


def answer(store, qualytics, what, name):
    if what == "look":
        return look(store, qualytics, name)
    if what == "peek":
        value, version = store.read(name)
        return {"found": "ok", "token": fingerprint(value), "version": version}
    if what == "plant":
        store.write(name, "planted by somebody else: " + secrets.token_hex(16))
        return {"found": "ok"}
    if what == "roll back":
        store.roll_back(name)
        return {"found": "ok"}
    if what == "delete":
        store.delete(name)
        return {"found": "ok"}
    raise ValueError("no such request")


def main():
    kind, *where, qualytics = sys.argv[1:]
    store = {"aws": AWS, "azure": Azure}[kind](*where)
    for line in sys.stdin:
        try:
            said = answer(store, qualytics, *json.loads(line))
        except Absent:
            said = {"found": "none"}
        except Exception as problem:  # its text could hold what was read
            said = {"found": "broken", "why": type(problem).__name__}
        print(json.dumps(said), flush=True)


main()
