# Starts hnsproxy in the image that replaces sigwindowstools/kube-proxy, with the arguments of that image's start scripts.
# The arguments of this script are added last, so they have precedence.
#
# hnsproxy itself waits for the network and finds the source VIP. This script removes no load balancers: hnsproxy adopts them, and
# Services keep working during a restart.
$ErrorActionPreference = 'Stop'
$root = "$env:CONTAINER_SANDBOX_MOUNT_POINT".TrimEnd('\', '/')

$program = "$PSScriptRoot/kube-proxy.exe"
# Cluster API Provider Azure sets KUBEPROXY_PATH to another program.
if ($env:KUBEPROXY_PATH) { $program = $env:KUBEPROXY_PATH }

$arguments = @('--v=2', '--proxy-mode=kernelspace', '--source-vip=auto')

# The manifests set NODE_NAME. NODENAME is supported because the original script for Calico reads it.
$node = @($env:NODE_NAME, $env:NODENAME) | Where-Object { $_ } | Select-Object -First 1
if ($node) { $arguments += "--hostname-override=$node" }

# The original script for Calico enables direct server return, the script for flannel does not. Only the flannel manifest sets KUBE_NETWORK.
if ($env:KUBE_NETWORK -notlike 'flannel*') { $arguments += '--enable-dsr=true' }

# containerd 1.7 mounts volumes both at their path and below the root of the image, containerd 1.6 only below the root of the image.
$kubeconfig = @('mounts/var/lib/kube-proxy/kubeconfig.conf', 'var/lib/kube-proxy/kubeconfig.conf') |
    ForEach-Object { "$root/$_" } | Where-Object { Test-Path $_ } | Select-Object -First 1
if ($kubeconfig) {
    if (-not (Test-Path '/var/run/secrets/kubernetes.io/serviceaccount/token')) {
        # The kubeconfig of kubeadm names the files of the service account by their path in the volume.
        $content = (Get-Content -Raw $kubeconfig) -replace '/var/run/secrets', "$root/var/run/secrets"
        $kubeconfig = "$PSScriptRoot/kubeconfig.conf"
        Set-Content -Path $kubeconfig -Value $content
    }
    $arguments += "--kubeconfig=$kubeconfig"
}

# hnsproxy logs to stderr, which must not count as an error.
$ErrorActionPreference = 'Continue'
& $program @arguments @args
exit $LASTEXITCODE
