{{- /* Labels that select the pods. */ -}}
{{- define "hnsproxy.selector" -}}
app.kubernetes.io/name: hnsproxy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hnsproxy.labels" -}}
{{ include "hnsproxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: service-proxy
{{- end -}}

{{- /* The name and namespace of an object, and its labels with those of its own. */ -}}
{{- define "hnsproxy.metadata" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "hnsproxy.labels" . | nindent 2 }}
{{- end -}}

{{- define "hnsproxy.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* KubeProxyConfiguration: what is fixed, then the CNI, then the given fields. */ -}}
{{- define "hnsproxy.configuration" -}}
{{- $scraped := or .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- $fixed := dict
      "apiVersion" "kubeproxy.config.k8s.io/v1alpha1"
      "kind" "KubeProxyConfiguration"
      "mode" "kernelspace"
      "healthzBindAddress" "0.0.0.0:10256"
      "metricsBindAddress" (ternary "0.0.0.0:10249" "127.0.0.1:10249" $scraped) -}}
{{- $cni := .Files.Get (printf "cni/%s.yaml" .Values.cni) | fromYaml -}}
{{- mergeOverwrite $fixed $cni (deepCopy .Values.configuration) | toYaml -}}
{{- end -}}

{{- /* The port of an address of the configuration. */ -}}
{{- define "hnsproxy.port" -}}
{{- splitList ":" . | last -}}
{{- end -}}

{{- /* How Prometheus scrapes a pod: with the labels that the alerts and dashboards expect. */ -}}
{{- define "hnsproxy.endpoint" -}}
- port: metrics
  interval: {{ .interval }}
  relabelings:
    - sourceLabels: [__meta_kubernetes_pod_node_name]
      targetLabel: node
    - targetLabel: job
      replacement: hnsproxy
{{- end -}}
