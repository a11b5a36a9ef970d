"""Objects in and out by boto3, for comparison: does what each line of its input asks, and prints a line when done.

uv run --no-project --with boto3 python bench/boto_store.py ENDPOINT BUCKET
"""

import sys

import boto3

MB = 1 << 20


def serve(endpoint: str, bucket: str) -> None:
    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    for row in sys.stdin:
        what, _, word = row.strip().partition(" ")
        if what == "put":
            store.upload_file(word, bucket, "boto/object")
        elif what == "get":
            body = store.get_object(Bucket=bucket, Key="boto/object")["Body"]
            while body.read(MB):
                continue
        elif what == "put-small":
            for number in range(int(word)):
                store.put_object(Bucket=bucket, Key=f"boto/{number}", Body=b"x" * 1024)
        elif what == "get-small":
            for number in range(int(word)):
                store.get_object(Bucket=bucket, Key=f"boto/{number}")["Body"].read()
        print("done", flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
