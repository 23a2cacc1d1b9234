/** What each role may, in plain words: beside every choice of one, and on its own. */
import { Radios } from '../officer/parts/form';
import { Card } from '../officer/parts/shown';
import { ROLES } from './model';
import { usePeople } from './words';

export function Roles() {
  const { t } = usePeople();
  return (
    <>
      <p class="office-lead settings-lead">{t('roles.lead')}</p>
      <div class="office-stack">
        {ROLES.map((role) => (
          <Card key={role} title={t(`role.${role}`)} name={role}>
            <p class="office-lead">{t(`role.${role}_about`)}</p>
          </Card>
        ))}
      </div>
    </>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (role: string) => void;
}

export function RoleChoice({ label, value, onValue }: ChoiceProps) {
  const { t } = usePeople();
  return (
    <Radios
      name="role"
      label={label}
      value={value}
      onValue={onValue}
      options={ROLES.map((role) => [role, t(`role.${role}`), t(`role.${role}_about`)] as const)}
    />
  );
}
