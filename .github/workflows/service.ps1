# Installs hnsproxy as a service, starts and stops it, and uninstalls it on a real service control manager, which Wine only emulates.
$ErrorActionPreference = 'Stop'
$hnsproxy = (Resolve-Path target/release/hnsproxy.exe).Path
$log = Join-Path $env:RUNNER_TEMP 'hnsproxy.log'
$from = (Resolve-Path examples/boutique/cluster.json).Path
function Must($what) { if ($LASTEXITCODE -ne 0) { throw "$what ended with $LASTEXITCODE" } }
& $hnsproxy run "--from=$from" --windows-service
if ($LASTEXITCODE -ne 1) { throw "outside of the service control manager: $LASTEXITCODE" }
& $hnsproxy service install -- "--from=$from" --network-name=none "--log-file=$log"; Must 'install'
sc.exe qfailure kube-proxy; Must 'qfailure'
Start-Service kube-proxy
(Get-Service kube-proxy).WaitForStatus('Running', '00:00:30')
Stop-Service kube-proxy
(Get-Service kube-proxy).WaitForStatus('Stopped', '00:00:30')
$code = (Get-CimInstance Win32_Service -Filter "Name='kube-proxy'").ExitCode
if ($code -ne 0) { Get-Content $log; throw "stopped with $code" }
Start-Service kube-proxy
& $hnsproxy service uninstall; Must 'uninstall'
if (Get-Service kube-proxy -ErrorAction SilentlyContinue) { throw 'the service is still there' }
Get-Content $log
