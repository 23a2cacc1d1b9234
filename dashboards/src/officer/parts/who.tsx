/** By what a person is identified: the fields of a form. What is typed stays in them and nowhere else. */
import { useState } from 'preact/hooks';
import { MAX_COOKIE_BYTES, MAX_USER_KEY_BYTES } from '../../api/officer';
import type { WhoWay } from '../model/forms';
import { useOffice } from '../words';
import { Radios, Text } from './form';

/** The longest text of an address, IPv6 with a zone. */
const MAX_ADDRESS = 64;

interface Props {
  readonly ways: readonly WhoWay[];
  /** Whose clock the times are by. */
  readonly zone: string;
  /** What is asked, where it is not by what a subject was identified. */
  readonly label?: string;
  readonly onWay?: (way: WhoWay) => void;
}

export function WhoFields({ ways, zone, label, onWay }: Props) {
  const { t } = useOffice();
  const [chosen, setWay] = useState<WhoWay>(ways[0] ?? 'cookie');
  const way = ways.includes(chosen) ? chosen : (ways[0] ?? 'cookie');
  return (
    <>
      <Radios
        name="who"
        label={label ?? t('who.label')}
        options={ways.map((each) => [each, t(`who.${each}`)] as const)}
        value={way}
        onValue={(value) => {
          setWay(value as WhoWay);
          onWay?.(value as WhoWay);
        }}
      />
      {way === 'cookie' && (
        <Text
          key="cookie"
          name="cookie"
          label={t('who.cookie_value')}
          hint={t('who.cookie_hint')}
          required
          most={MAX_COOKIE_BYTES}
          secret
          wide
        />
      )}
      {way === 'user' && (
        <Text
          key="user"
          name="user"
          label={t('who.user_key')}
          hint={t('who.user_hint')}
          required
          most={MAX_USER_KEY_BYTES}
          secret
          wide
        />
      )}
      {way === 'address' && (
        <>
          <Text key="ip" name="ip" label={t('who.ip')} required most={MAX_ADDRESS} secret wide />
          <Text name="address_from" type="datetime-local" label={t('who.from')} required />
          <Text name="address_to" type="datetime-local" label={t('who.to')} hint={t('form.zone', { zone })} required />
        </>
      )}
    </>
  );
}
