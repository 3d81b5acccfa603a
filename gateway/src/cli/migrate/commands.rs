//! The commands that change over, in their order.

/// Where policy-controller is.
pub(super) struct Place<'a> {
    /// As which Helm release.
    pub(super) release: &'a str,
    /// In which namespace.
    pub(super) namespace: &'a str,
}

impl Place<'_> {
    /// What is typed, line by line, with what each step is for. Both are asked until policy-controller is gone, so that
    /// there is no moment at which nothing is enforced; and its kinds, with which every policy would go, leave its release first.
    pub(super) fn commands(&self) -> Vec<String> {
        let Self { release, namespace } = self;
        let text = format!(
            r#"# 1. Keep a copy of the policies, without what belongs to one cluster at one time.
kubectl get clusterimagepolicies,trustroots -o json | jq 'del(.items[].metadata["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers"], .items[].status)' > policies.json
# 2. Ask both: Countersign beside policy-controller, under another name.
helm install countersign helm/countersign -n {namespace} -f values.yaml --set webhook.name=beside.policy.sigstore.dev --set policyWebhooks.enabled=false
kubectl -n {namespace} rollout status deployment/countersign
# 3. Let the release of policy-controller forget the kinds. The annotation is what keeps them when they leave it; by itself it
#    keeps nothing, since an uninstall looks at what was installed.
kubectl annotate crd clusterimagepolicies.policy.sigstore.dev trustroots.policy.sigstore.dev helm.sh/resource-policy=keep
helm upgrade {release} sigstore/policy-controller -n {namespace} --version "$(helm list -n {namespace} --filter '^{release}$' -o json | jq -r '.[0].chart | ltrimstr("policy-controller-")')" --reuse-values --set installCRDs=false
# 4. Stop it. Its finalizer is on every object, and nobody would act on it.
kubectl -n {namespace} scale deployment policy-controller-webhook --replicas=0
kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration policy.sigstore.dev defaulting.clusterimagepolicy.sigstore.dev validating.clusterimagepolicy.sigstore.dev --ignore-not-found
for kind in clusterimagepolicies.v1alpha1.policy.sigstore.dev trustroots.v1alpha1.policy.sigstore.dev; do kubectl get "$kind" -o name | cut -d/ -f2 | xargs -I{{}} kubectl patch "$kind" {{}} --type=merge -p '{{"metadata":{{"finalizers":null}}}}'; done
helm uninstall {release} -n {namespace}
# 5. Take its name and its kinds over, and see that every policy is there.
kubectl apply --server-side --force-conflicts -f helm/countersign/crds
helm upgrade countersign helm/countersign -n {namespace} -f values.yaml
kubectl get clusterimagepolicies,trustroots
# Only where some are missing: kubectl apply -f policies.json"#
        );
        text.lines().map(str::to_owned).collect()
    }
}
