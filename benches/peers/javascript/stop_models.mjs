// A typical sample: StopProjectVersion for each model, eight at a time, with the defaults of the
// SDK. A model whose call fails is left running.

import { RekognitionClient, StopProjectVersionCommand } from "@aws-sdk/client-rekognition";

const CONCURRENCY = 8;

const rekognition = new RekognitionClient();

async function stop(modelArn) {
  try {
    await rekognition.send(new StopProjectVersionCommand({ ProjectVersionArn: modelArn }));
    return 1;
  } catch {
    return 0;
  }
}

async function handler(event) {
  const left = event.model_arns.values();
  let stopped = 0;
  const worker = async () => {
    for (const modelArn of left) {
      const one = await stop(modelArn);
      stopped += one;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return { stopped };
}

// Lambda's own client of the Runtime API is part of its Node.js image and not of any package that
// installs without a compiler. This is all that it does here.
const runtime = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
for (;;) {
  const invocation = await fetch(`${runtime}/next`);
  const requestId = invocation.headers.get("lambda-runtime-aws-request-id");
  const body = JSON.stringify(await handler(await invocation.json()));
  await fetch(`${runtime}/${requestId}/response`, { method: "POST", body });
}
