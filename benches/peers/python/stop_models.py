"""A typical sample: StopProjectVersion for each model, with the defaults of the SDK.

`loop` stops one after the other, `threads` eight at a time. A model whose call fails is left
running.
"""

from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import BotoCoreError, ClientError

CONCURRENCY = 8

rekognition = boto3.client("rekognition")


def stop(model_arn):
    try:
        rekognition.stop_project_version(ProjectVersionArn=model_arn)
        return True
    except (BotoCoreError, ClientError):
        return False


def loop(event, context):
    return {"stopped": sum(map(stop, event["model_arns"]))}


def threads(event, context):
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return {"stopped": sum(pool.map(stop, event["model_arns"]))}
