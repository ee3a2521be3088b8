"""What a Kubernetes cluster with KubeRay would say of manifests, without one.

``rayjob-v1.json`` is the schema of ray.io/v1 in KubeRay 1.7.0's RayJob CRD; ``compose-spec.json`` is the
Compose project's.
"""
