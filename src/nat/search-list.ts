/** The domains that a guest looks for names in, as DHCP and DHCPv6 tell of them. */

/** As names of DNS, not compressed (RFC 3397 §2, RFC 8415 §10); as many as there is room for in `most` octets. */
export function searchList(domains: readonly string[], most: number): Uint8Array {
  const list: number[] = []
  for (const domain of domains) {
    const labels = domain.replace(/\.$/, '').split('.')
    // Names of other characters are sent by nobody in this form.
    if (!labels.every((label) => /^[\w-]{1,63}$/.test(label))) continue
    const octets = labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)])
    if (list.length + octets.length + 1 > most) break
    list.push(...octets, 0)
  }
  return Uint8Array.from(list)
}
