# Starts hnsproxy in the image that replaces sigwindowstools/kube-proxy, with the arguments of that image's start scripts.
# Arguments of this script come last, so they have precedence.
#
# hnsproxy itself waits for the network and finds the source VIP. This script removes no load balancers: hnsproxy adopts them, and
# Services keep working during a restart.
$ErrorActionPreference = 'Stop'
$root = "$env:CONTAINER_SANDBOX_MOUNT_POINT".TrimEnd('\', '/')

$program = "$PSScriptRoot/kube-proxy.exe"
# Cluster API Provider Azure names another program.
if ($env:KUBEPROXY_PATH) { $program = $env:KUBEPROXY_PATH }

$arguments = @('--v=2', '--proxy-mode=kernelspace', '--source-vip=auto')

# The manifests set NODE_NAME, and the script for Calico read NODENAME.
$node = @($env:NODE_NAME, $env:NODENAME) | Where-Object { $_ } | Select-Object -First 1
if ($node) { $arguments += "--hostname-override=$node" }

# The script for Calico uses direct server return, that for flannel does not. Only the manifest for flannel names the network.
if ($env:KUBE_NETWORK -notlike 'flannel*') { $arguments += '--enable-dsr=true' }

# containerd 1.7 mounts volumes at their path, and below the root of the image; 1.6 only below it.
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

# The log is on stderr, which is no error.
$ErrorActionPreference = 'Continue'
& $program @arguments @args
exit $LASTEXITCODE
